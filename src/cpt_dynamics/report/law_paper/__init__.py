"""The paper of its own on the square-root noise law: numbers, tables, figures and sources, made from the benchmark."""
