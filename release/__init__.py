"""What a release is made of: a version, its notes, a commit that names the image by digest, and two tags.

The standard library alone, so that it runs before anything is installed: `python3 -m release --help`.
"""
