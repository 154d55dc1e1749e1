"""Full releases under constant load in the playground: what is played, who sends requests, and what is counted."""
