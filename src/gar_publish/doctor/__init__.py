"""Which link of the chain is broken, and the command that mends it.

The chain is walked with the code that publishing uses, so that a link which holds here holds there.
"""

from gar_publish.doctor.diagnosis import Diagnosis, Link
from gar_publish.doctor.walk import examine, tell_after

__all__ = ["Diagnosis", "Link", "examine", "tell_after"]
