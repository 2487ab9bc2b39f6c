"""Recorded traffic of real clients, in a form that can be played to any store.

    trace.py       what a recording proxy saw, as exchanges
    model.py       what a store holds, as far as its answers tell
    order.py       the order in which a store served what ran at the same time
    making.py      exchanges -> a recording
    recording.py   the format: a script of steps, JSON lines, gzipped
    relation.py    session ids and indexes: those of the recording and those of the store
    player.py      a recording and a store -> nothing, or how the store failed it

`python -m conformance.recordings` makes a recording of a trace.
"""
