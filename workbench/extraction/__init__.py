"""Whether what a model knows can be got out of it: finetuning on questions, answering, and what is answered."""
