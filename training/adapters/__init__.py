"""ShardLoader in other people's trainers: each file is one of them, and needs its library."""
