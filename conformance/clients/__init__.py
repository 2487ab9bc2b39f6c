"""Clients of Consul's KV API, as far as the chapters need them: what each asks, and when.

speaker.py     one keep-alive connection, with the headers of Go's client
together.py    running clients side by side
following.py   the watch loops of libkv, `consul watch` and consul-template
golock.py      api.Lock and api.Semaphore of Consul's Go client
engine.py      what a Docker engine asks when it registers, and when it starts a container
swarm.py       a manager of classic Swarm that stands for election

line.py, role.py, cast.py         programs that live side by side in one event loop
swarm_join.py, swarm_manage.py    whole agents and managers of classic Swarm, as such programs
"""
