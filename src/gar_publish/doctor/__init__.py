"""Finds the broken link of the chain, and the command that fixes it, with the code that publishing uses."""

from gar_publish.doctor.render import Diagnosis, Link
from gar_publish.doctor.walk import examine, tell_after

__all__ = ["Diagnosis", "Link", "examine", "tell_after"]
