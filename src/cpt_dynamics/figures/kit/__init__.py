"""What figures share: style, selection of rows, joint fits, texts and numbers."""
