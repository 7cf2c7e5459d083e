"""Stage 2, label. In: items that need a true answer. Out: labels whose quality is known.

In this release the outcome feed is the label source: the truth about a prediction arrives late and is joined by its id
(`deploy`), and labels of training rows come with the data (`data`). The labelling stage proper (guides, annotators,
gold items, agreement, consensus, review) is a later piece of work and will live here.
"""
