"""Stage 8. In: logged answers, their outcomes, what a version promised at registration. Out: signals and alerts."""
