"""Stores of MLflow, read: a database (`database`), a server (`server`), folders of artifacts (`folders`)."""
