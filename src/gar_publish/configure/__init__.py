"""Settings of pip, uv, Poetry, PDM, twine and Docker for one repository: merged into what is there, and kept."""
