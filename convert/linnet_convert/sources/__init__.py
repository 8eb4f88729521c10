"""What ``linnet convert`` starts from: a run of ``linnet train``, or a model made elsewhere. One file a kind."""
