//! The kernel's questions (`fuse(4)`), answered from the model.

use std::ffi::OsStr;
use std::time::SystemTime;

use fuser::{
    Errno as FuseErrno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::io::Errno;

use super::faults::Op;
use super::model::{Inode, Model, Node};
use super::{Caching, Disk};

const BLOCK: u32 = 512;

/// A mount's view of a disk.
#[derive(Debug)]
pub struct Served {
    disk: Disk,
    caching: Caching,
}

impl Served {
    pub const fn new(disk: Disk, caching: Caching) -> Self {
        Self { disk, caching }
    }

    fn entry(&self, reply: ReplyEntry, found: Result<FileAttr, Errno>) {
        match found {
            Ok(attr) => {
                reply.entry_with_ttls(&self.caching.attributes, &self.caching.entries, &attr, Generation(0));
            }
            Err(e) => reply.error(error(e)),
        }
    }

    fn sync(&self, ino: INodeNo, op: Op, reply: ReplyEmpty) {
        let lies = self.disk.state().lies_about == Some(op);
        let done = self.disk.operate(op, |model| if lies { Ok(()) } else { model.sync(ino.0) });
        if done.is_err() {
            // Whatever the kernel reports, it will not write those pages again.
            self.disk.state().model.fail_sync(ino.0).ok();
        }
        empty(reply, done);
    }
}

fn error(e: Errno) -> FuseErrno {
    FuseErrno::from_i32(e.raw_os_error())
}

fn empty(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(error(e)),
    }
}

fn text(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::ILSEQ)
}

fn attr(model: &Model, ino: u64) -> Result<FileAttr, Errno> {
    let inode = model.inode(ino)?;
    Ok(FileAttr {
        ino: INodeNo(ino),
        size: inode.len(),
        blocks: inode.len().div_ceil(u64::from(BLOCK)),
        atime: inode.modified,
        mtime: inode.modified,
        ctime: inode.changed,
        crtime: inode.changed,
        kind: kind(inode),
        perm: (inode.mode & 0o7777) as u16,
        nlink: inode.links,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

const fn kind(inode: &Inode) -> FileType {
    match inode.node {
        Node::File(_) => FileType::RegularFile,
        Node::Dir(_) => FileType::Directory,
    }
}

impl Filesystem for Served {
    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.disk.state();
        if state.dead {
            return reply.error(FuseErrno::EIO);
        }
        let found = match text(name) {
            Ok(name) if state.hides(parent.0, name, req.pid()) => Err(Errno::NOENT),
            name => name.and_then(|name| state.model.lookup(parent.0, name)).and_then(|ino| attr(&state.model, ino)),
        };
        if found == Err(Errno::NOENT) && !self.caching.absences.is_zero() {
            // An entry with inode 0 is an absence that may be remembered.
            let Ok(mut none) = attr(&state.model, parent.0) else { return reply.error(FuseErrno::EIO) };
            none.ino = INodeNo(0);
            return reply.entry(&self.caching.absences, &none, Generation(0));
        }
        self.entry(reply, found);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let state = self.disk.state();
        match attr(&state.model, ino.0) {
            _ if state.dead => reply.error(FuseErrno::EIO),
            Ok(attr) => reply.attr(&self.caching.attributes, &attr),
            Err(e) => reply.error(error(e)),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.disk.operate(Op::Write, |model| {
            if let Some(mode) = mode {
                model.inode_mut(ino.0)?.mode = mode & 0o7777;
            }
            if let Some(size) = size {
                model.truncate(ino.0, size)?;
            }
            attr(model, ino.0)
        });
        match done {
            Ok(attr) => reply.attr(&self.caching.attributes, &attr),
            Err(e) => reply.error(error(e)),
        }
    }

    fn mkdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.disk.operate(Op::MakeDir, |model| {
            let ino = model.make_dir(parent.0, text(name)?, mode & !umask)?;
            attr(model, ino)
        });
        self.entry(reply, made);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.disk.operate(Op::Unlink, |model| model.unlink(parent.0, text(name)?)));
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.disk.operate(Op::Unlink, |model| model.remove_dir(parent.0, text(name)?)));
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(FuseErrno::EINVAL);
        }
        let done =
            self.disk.operate(Op::Link, |model| model.rename(parent.0, text(name)?, new_parent.0, text(new_name)?));
        empty(reply, done);
    }

    fn link(&self, req: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.disk.make_way(parent.0, text(name).unwrap_or_default(), req.pid());
        let done = self.disk.operate(Op::Link, |model| {
            model.link(ino.0, parent.0, text(name)?)?;
            attr(model, ino.0)
        });
        self.entry(reply, done);
    }

    fn open(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.disk.operate(Op::Open, |model| model.open(ino.0)) {
            // No page cache: the model is the cache.
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
            Err(e) => reply.error(error(e)),
        }
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        self.disk.make_way(parent.0, text(name).unwrap_or_default(), req.pid());
        // Linux, all architectures: O_EXCL (fcntl.h).
        let exclusive = flags & 0o200 != 0;
        let done = self.disk.operate(Op::Create, |model| {
            let name = text(name)?;
            let ino = match model.create(parent.0, name, mode & !umask) {
                // Another mount was faster than this one's look-up.
                Err(Errno::EXIST) if !exclusive => model.lookup(parent.0, name)?,
                other => other?,
            };
            model.open(ino)?;
            attr(model, ino)
        });
        match done {
            Ok(attr) => {
                reply.created(&self.caching.entries, &attr, Generation(0), FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(e) => reply.error(error(e)),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.disk.operate(Op::Read, |model| Ok(model.read(ino.0, offset, size as usize)?.to_vec()));
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(e) => reply.error(error(e)),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = match self.disk.operate(Op::Write, |model| model.write(ino.0, offset, data).map(|()| data.len()))
        {
            // The one fault that is part of a success.
            Err(Errno::AGAIN) => {
                let half = &data[..data.len().div_ceil(2)];
                self.disk.state().model.write(ino.0, offset, half).map(|()| half.len())
            }
            other => other,
        };
        match written {
            Ok(len) => reply.written(u32::try_from(len).unwrap_or(0)),
            Err(e) => reply.error(error(e)),
        }
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _lock: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.disk.state().model.release(ino.0);
        reply.ok();
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _data: bool, reply: ReplyEmpty) {
        self.sync(ino, Op::SyncFile, reply);
    }

    fn fsyncdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _data: bool, reply: ReplyEmpty) {
        self.sync(ino, Op::SyncDir, reply);
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.disk.operate(Op::Open, |model| model.dir(ino.0).map(|_| ())) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(e) => reply.error(error(e)),
        }
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.disk.operate(Op::List, |model| {
            let dir = model.dir(ino.0)?;
            let name = |(name, ino): (&String, &u64)| Ok((name.clone(), *ino, kind(model.inode(*ino)?)));
            dir.names.iter().map(name).collect::<Result<Vec<_>, Errno>>()
        });
        match listed {
            Ok(names) => {
                let names = self.disk.listing(ino.0, names);
                for (at, (name, ino, kind)) in (1..).zip(names).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
                    if reply.add(INodeNo(ino), at, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(e) => reply.error(error(e)),
        }
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let state = self.disk.state();
        let blocks = 1 << 30;
        let free = (state.model.room.saturating_sub(state.model.used()) / u64::from(BLOCK)).min(blocks);
        reply.statfs(blocks, free, free, 1 << 20, 1 << 20, BLOCK, 255, BLOCK);
    }
}
