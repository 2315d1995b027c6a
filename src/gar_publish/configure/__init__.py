"""Settings of pip, uv, Poetry, PDM, twine and Docker for one repository, merged into the existing ones."""
