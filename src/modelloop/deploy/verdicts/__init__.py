"""Evidence of a stage in, a decision with its reason and numbers out. Pure. Exported by `deploy.verdict`."""
