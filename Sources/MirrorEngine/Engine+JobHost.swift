import MirrorCore
import MirrorJob
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

extension Engine: JobHost {
    var sourcePath: FilePath { configuration.source }
    var mountpoint: FilePath { configuration.mountpoint }
    var defaultTarget: FilePath? { configuration.target }
}
