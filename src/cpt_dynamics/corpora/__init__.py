"""From text to batches: documents, their split, the tokenizer, token files, and the batch of a step.

`documents` builds `data/corpora/<name>/` and splits it; `installed` and `local` are two places that text
can come from; `tokenizer` and `tokens` turn text into memory-mapped arrays; `batches` says which tokens a
step trains on.
"""
