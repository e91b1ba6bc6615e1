"""State to messages: the only way by which problem text reaches the policy."""
