"""Stage 7. In: a registered version and a rollout policy. Out: logged answers and a verdict on each change."""
