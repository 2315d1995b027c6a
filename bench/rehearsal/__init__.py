"""What the checks and the rehearsal of wheels find: in popular wheels, and in wheels with planted defects."""
