import CFuse
import MirrorEngine
