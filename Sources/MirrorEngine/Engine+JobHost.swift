import MirrorCore
import MirrorJob
import MirrorSystem
import SystemPackage

extension Engine: JobHost {
    var sourcePath: FilePath { configuration.source }
    var mountpoint: FilePath { configuration.mountpoint }
    var defaultTarget: FilePath? { configuration.target }
}
