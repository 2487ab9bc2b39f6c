"""Chapters in Python: what a golden script cannot say, since it is about time and many clients.

A module here has `CASES`, a tuple of `Case`; the first line of its docstring is the chapter's
title and the rest its introduction. `conformance/suite/chapters.py` collects them.
"""
