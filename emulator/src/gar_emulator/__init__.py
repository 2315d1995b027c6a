"""Artifact Registry, STS, IAM Credentials, OAuth, GitHub OIDC and the metadata server, on one machine.

Its parts are needed by nobody who publishes: they come with the extra `gar-publish[emulator]`.
What is known, what is guessed and what can be switched stands in `docs/fidelity.md`.
"""

from gar_emulator.server.server import Emulator
from gar_emulator.world.fault import Fault
from gar_emulator.world.world import World

__all__ = ["Emulator", "Fault", "World"]
