"""The proof that nothing acknowledged is lost: whole lives of a journal, and all that may end them.

A life is written, restarted and compacted on a disk in memory that remembers every moment. Each
state that a loss of power may leave is started from and compared with a store that never saw a
file. The mutants show that the proof notices each promise that is not kept.
"""
