"""Which link of the chain is broken, and the command that mends it.

The chain is walked with the code that publishing uses, so that a link which holds here holds there.
"""

from gar_publish.doctor.chain import examine, tell_after
from gar_publish.doctor.diagnosis import Diagnosis, Link

__all__ = ["Diagnosis", "Link", "examine", "tell_after"]
