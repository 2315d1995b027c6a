"""Hostile builds: what they could read, change, leave behind or stop, tried against real builds by root (Linux).

    python -m bench.attacks --runs 20

`processes.py` and `files.py` list the attacks. `hostile.py` and `hostile.c` are parts of the hostile projects.
`driver.py` makes a job with secrets, builds a hostile project and a harmless one in it, and judges what happened.
`__main__.py` runs it outside of a container and in the image.
"""
