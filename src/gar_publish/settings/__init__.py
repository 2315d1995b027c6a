"""The inputs: their declaration, their values, and the repository and the credential that they name."""
