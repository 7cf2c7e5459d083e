"""The shell of the pages: who may come in, how a route becomes an answer, what the loop looks like."""
