"""Laws on the public curves of continual pre-training (Delphi): unseen peak LRs, mixes and bases."""
