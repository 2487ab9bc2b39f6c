"""What the data means: pure, knows no clock, no chance, no files, no network and no asyncio.

`State.apply(index, command)` is a function of the state, the index and the command, so a replay
of the journal always ends in the same state.
"""
