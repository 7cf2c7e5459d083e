"""Hyper-parameters by their gradients: a problem goes in, the parameters with the least validation loss come out."""
