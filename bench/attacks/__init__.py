"""Hostile builds and wheels: what they could read, change, leave behind or stop, tried as root (Linux).

    python -m bench.attacks --runs 20

`processes.py` and `files.py` list the attacks. `hostile.py` and `hostile.c` are parts of the hostile projects.
`driver.py` makes a job with secrets, builds a hostile project and a harmless one in it, and judges what happened.
`imports.py` carries attacks by wheels, which are rehearsed beside harmless ones.
`__main__.py` runs it outside of a container and in the image.
"""
