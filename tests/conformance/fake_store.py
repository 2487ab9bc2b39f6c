"""A store that answers by a list, to show that a player notices what is wrong with it."""

import json
from collections import defaultdict, deque
from typing import Any, Self

from conformance.suite.case import Ground, Store
from conformance.suite.wire import Answer, NotAnswered

PREFIX = "here/"


def answer(status: int = 200, body: Any = None, index: int = 0, **headers: str) -> Answer:
    """Return an answer as a Consul gives it; `headers` replace its own, `_` stands for `-`."""
    text = "" if body is None else json.dumps(body)
    told = {"X-Consul-Index": str(index), "X-Consul-Knownleader": "true"} if index else {}
    told |= {"Content-Type": "application/json"} if text else {}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, "", tuple(told.items()), text.encode())


def entry(key: str, index: int, **members: Any) -> dict[str, Any]:
    """Return an entry as it is listed."""
    fixed = {"LockIndex": 0, "Key": key, "Flags": 0, "Value": None}
    return {**fixed, **members, "CreateIndex": index, "ModifyIndex": index}


class FakeStore(Store):
    """Gives the answers listed for a request ("GET /v1/kv/a"), one after the other.

    A request that has none left stays unanswered. `asked` are all requests in their order.
    """

    def __init__(self, **answers: list[Answer]) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._answers = defaultdict(deque, {name: deque(each) for name, each in answers.items()})

    def expect(self, request: str, *answers: Answer) -> Self:
        """List answers for a request."""
        self._answers[request].extend(answers)
        return self

    def ground(self) -> Ground:
        """Return a ground to play on."""
        return Ground(self, PREFIX)

    def connect(self) -> Any:
        """Open what looks like a connection."""
        return _FakeConnection(self)

    def take(self, request: str) -> Answer | None:
        """Return the next answer to a request."""
        listed = self._answers[request]
        return listed.popleft() if listed else None


class _FakeConnection:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._request = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._request = ""

    def send(self, data: bytes) -> None:
        method, target, _ = data.split(b"\r\n", 1)[0].decode().split(" ")
        self._request = f"{method} {target}"
        self._store.asked.append(self._request)

    def silent_for(self, seconds: float) -> bool:
        del seconds
        return not self._store._answers[self._request]

    def read(self, method: str = "GET", within_s: float = 0) -> Answer:
        del method, within_s
        given = self._store.take(self._request)
        if given is None:
            raise NotAnswered(f"no answer to {self._request}")
        return given
