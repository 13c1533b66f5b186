package import MirrorCore
package import MirrorSystem
package import MirrorTarget
package import SystemPackage

extension JobRecord.Member {
    /// What a member that begins has to keep. Asks the target; not on a job's queue.
    ///
    /// - Parameter own: of the image's own file, with the size that the image has.
    package init(_ twin: Twin, _ imagePath: FilePath, _ own: FileStatus) {
        let (descriptor, path) = (twin.descriptor, twin.place.path)
        let file = descriptor.flatMap { try? $0.status() }
        (image, length) = (shown(imagePath), own.size)
        let identity = own.identity
        (inode, device) = (identity.inode, identity.device)
        var names = (path, twin.workingPath)
        if case .device = twin.place.kind {
            let name = DeviceName.lasting(path)
            names = (name, name)
            disk = descriptor.map { DiskNumber(of: $0) }
        } else {
            disk = nil
        }
        (target, working) = (shown(names.0), shown(names.1))
        (firstPass, lostFlush) = (twin.firstPass, nil)
        switch twin.place.kind {
        case .file:
            (kind, self.twin, capacity) = (twin.isHome ? .home : .file, file?.identity.inode, nil)
        case .device(let size): (kind, self.twin, capacity) = (.device, nil, size)
        case .export: (kind, self.twin, capacity) = (.export, nil, nil)
        }
    }
}

extension JobRecord {
    /// A job that lives; what it has done so far is said afterwards.
    package init(
        uuid: String, generation: Int, next: Int?, id: String, created: Int, parameters: [String],
        members: [Member], phase: JobMachine.Phase
    ) {
        (self.uuid, self.generation, self.next) = (uuid, generation, next)
        (self.id, self.created, self.parameters) = (id, created, parameters)
        (self.members, self.phase) = (members, phase)
    }
}
