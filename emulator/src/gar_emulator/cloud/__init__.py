"""The running cloud: its state, its data folder, and who may do what."""
