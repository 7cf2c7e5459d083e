"""What the commands do: each act takes a desk and returns an answer."""
