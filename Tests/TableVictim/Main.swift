import MirrorCore
import MirrorSystem
import SystemPackage

/// Works on a kept table as guests and a copier do, until it is killed: `table-victim TABLE WORLD`.
/// What it "writes" are numbers in WORLD, so that whoever killed it sees what source and twin held
/// at that instant.
@main enum TableVictim {
    static func main() throws {
        let world = World(try memory(CommandLine.arguments[2]))
        let victim = try Victim(memory(CommandLine.arguments[1]), world)
        for number in UInt64(1)...2 {
            precondition(PlainThread.start(stackSize: 1 << 20) { victim.beGuest(number) })
        }
        world.isReady = true
        victim.beCopier()
    }

    private static func memory(_ path: String) throws -> SharedMemory {
        try SharedMemory(adopting: FileDescriptor.open(path, .readWrite))
    }
}
