"""The roof. In: the facts of all stages. Out: explanations for an auditor. Reads all, steers nothing."""
