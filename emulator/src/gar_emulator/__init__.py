"""A local Artifact Registry for Python packages, with STS, IAM, OAuth, GitHub OIDC and the metadata server.

`docs/fidelity.md` says which behaviour is known, which is a guess, and which has a switch.
"""

from gar_emulator.server.server import Emulator
from gar_emulator.world.fault import Fault
from gar_emulator.world.world import World

__all__ = ["Emulator", "Fault", "World"]
