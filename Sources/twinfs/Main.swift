import ArgumentParser
import MirrorFuse

@main
struct Twinfs: ParsableCommand {}
