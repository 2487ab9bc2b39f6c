"""Golden scripts: conversations with a store as one would write them down.

`conformance/cases/README.md` describes the format. `parser.py` reads it, `steps.py` says what each
line does, `template.py` is the text with names in it, `scene.py` what a script plays on.
"""
