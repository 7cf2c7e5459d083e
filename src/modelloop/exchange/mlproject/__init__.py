"""MLflow projects as pipelines: what MLproject says (`spec`), the command (`command`), its environment (`environment`),
the run (`pipeline`), and who answers its logging (`answering`)."""
