import CFuse
import MirrorSystem
import SystemPackage

/// What the kernel offered in the second word of INIT's flags, which libfuse 3.14 passes over, and
/// what was taken of it.
struct KernelOffer: Sendable {
    var flags2: UInt32 = 0
    /// Number of the request, to know its answer by.
    var unique: UInt64?
    /// Whether a successor can ask for what was not answered.
    var resend: Bool { flags2 & CFUSE_INIT2_HAS_RESEND != 0 }
    /// Whether the kernel serves read-only opens itself; never so without CAP_SYS_ADMIN.
    var passthrough: Bool { flags2 & CFUSE_INIT2_PASSTHROUGH != 0 }
}

extension Session {
    /// Most requests of one kind that the kernel keeps under way by itself. At the default of 12 a
    /// guest's own submit call blocks; 1024 is above any queue depth that hypervisors use.
    private static let background: UInt32 = 1024
    /// Largest payload of a WRITE: the kernel's limit of 256 pages.
    static let payload = 1 << 20

    /// Makes libfuse's session, which decodes what the loop reads from the device.
    func attach() throws(MountError) {
        cfuse_capture_messages()
        var operations = Session.operations
        let userdata = Unmanaged.passRetained(self).toOpaque()
        libfuse = cfuse_session_new("subtype=twinfs", &operations, userdata)
        if libfuse == nil { throw .libfuse("cannot start a FUSE session") }
        useOwnIO()
    }

    /// libfuse's answers pass through us, so that INIT's can be completed. Its reads never happen:
    /// the loop reads the device itself.
    private func useOwnIO() {
        var io = fuse_custom_io()
        io.read = { device, buffer, count, _ in cfuse_read(device, buffer, count) }
        io.writev = { device, vector, count, userdata in
            let session = Session.at(userdata)
            session.completeInit(vector!, Int(count))
            if session.swallowsAnswer {
                return (0..<Int(count)).reduce(0) { $0 + vector![$1].iov_len }
            }
            return cfuse_writev(device, vector, count)
        }
        fuse_session_custom_io(libfuse, &io, device)
    }

    /// Keeps the INIT request for a successor, and what it offers.
    func record(initRequest request: UnsafeRawBufferPointer) {
        kept.keep(initRequest: request)
        understand(initRequest: request)
    }

    private func understand(initRequest request: UnsafeRawBufferPointer) {
        offer.unique = request.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        let flags = request.loadUnaligned(fromByteOffset: 52, as: UInt32.self)
        guard flags & CFUSE_INIT_EXT != 0, request.count >= 60 else { return }
        offer.flags2 = request.loadUnaligned(fromByteOffset: 56, as: UInt32.self)
    }

    /// Gives libfuse the INIT request that a predecessor has answered, and throws its answer away.
    /// What the kernel offered is the same, so what was chosen is too.
    func replayInit() {
        var bytes = kept.initRequest
        swallowsAnswer = true
        bytes.withUnsafeMutableBytes { request in
            understand(initRequest: UnsafeRawBufferPointer(request))
            process(UnsafeRawBufferPointer(request))
        }
        swallowsAnswer = false
        isInitialized = true
    }

    /// Lets libfuse decode a request and call back (`Callbacks.swift`).
    func process(_ request: UnsafeRawBufferPointer) {
        var buffer = fuse_buf()
        buffer.size = request.count
        buffer.mem = UnsafeMutableRawPointer(mutating: request.baseAddress)
        fuse_session_process_buf(libfuse, &buffer)
    }

    /// Adds to INIT's answer what libfuse does not know: shared mappings of files opened for direct
    /// I/O, passthrough, and requests that are sent again.
    private func completeInit(_ vector: UnsafeMutablePointer<iovec>, _ count: Int) {
        guard let unique = offer.unique, count > 1 else { return }
        let header = vector[0].iov_base.load(as: fuse_out_header.self)
        guard header.unique == unique, header.error == 0 else { return }
        offer.unique = nil
        let answer = vector[1].iov_base.assumingMemoryBound(to: fuse_init_out.self)
        let wanted =
            CFUSE_INIT2_DIRECT_IO_ALLOW_MMAP | CFUSE_INIT2_PASSTHROUGH | CFUSE_INIT2_HAS_RESEND
        answer.pointee.flags |= offer.flags2 == 0 ? 0 : CFUSE_INIT_EXT
        answer.pointee.flags2 |= offer.flags2 & wanted
        if offer.passthrough { cfuse_set_max_stack_depth(answer, 1) }
    }

    /// Chooses among what libfuse knows. Not chosen, though libfuse would: splice and the
    /// write-back cache (slower here), auto-invalidation (a GETATTR for each cached read after a
    /// write), atomic O_TRUNC (truncation must come as a change of size, which is tracked).
    func configure(_ connection: UnsafeMutablePointer<fuse_conn_info>) {
        let wanted: [Int32] = [
            FUSE_CAP_ASYNC_READ, FUSE_CAP_ASYNC_DIO, FUSE_CAP_PARALLEL_DIROPS,
            FUSE_CAP_READDIRPLUS, FUSE_CAP_READDIRPLUS_AUTO,
        ]
        var flags = wanted.reduce(0 as UInt32) { $0 | UInt32($1) }
        if RequestThread.current.ownsMask { flags |= UInt32(FUSE_CAP_DONT_MASK) }
        connection.pointee.want = flags & connection.pointee.capable
        connection.pointee.max_write = UInt32(Self.payload)
        connection.pointee.max_background = Self.background
        connection.pointee.congestion_threshold = Self.background * 3 / 4
    }
}
