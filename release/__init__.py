"""Make a release: a version, its notes, a commit that names the image by digest, and two tags.

It uses only the standard library, so that it runs before anything is installed: `python3 -m release --help`.
"""
