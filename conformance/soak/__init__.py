"""The soak: many simulated Docker engines against one store, for as long as asked.

It answers one question: does the store stay as it is? Its memory, descriptors, threads and answer
times must be flat while the number of live entries is, no request may be answered with a status it
should not get, and no watcher may miss a change.

The engines are simulated down to the requests (libkv's and libnetwork's, as recorded), not above:
there are no containers and no packets. `conformance.overlay` is the lab with real ones.
"""
