// An SFTP server on npm's ssh2, over local files: most SFTP servers in Node.js are built on it.
//
//     node server.js DIRECTORY PORT [refuse-rename]
//
// ssh2 speaks the protocol; what a request means is left to the program. Here each is the system call of its name, as in
// the package's own example. It offers no extensions.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const { Server, utils: { sftp: { OPEN_MODE, STATUS_CODE } } } = require("ssh2");

const [directory, port, order] = process.argv.slice(2);
const root = path.join(directory, "root");
const password = Buffer.from(process.env.LOCAL_SFTP_PASSWORD);
const CODES = { ENOENT: STATUS_CODE.NO_SUCH_FILE, EACCES: STATUS_CODE.PERMISSION_DENIED, EPERM: STATUS_CODE.PERMISSION_DENIED };

const local = (name) => path.join(root, path.posix.join("/", name));
const attributes = (found) => ({
  mode: found.mode, uid: found.uid, gid: found.gid, size: found.size, atime: found.atimeMs / 1000, mtime: found.mtimeMs / 1000,
});

function openFlags(flags) {
  let mode = flags & OPEN_MODE.READ && flags & OPEN_MODE.WRITE ? fs.constants.O_RDWR
    : flags & OPEN_MODE.WRITE ? fs.constants.O_WRONLY : fs.constants.O_RDONLY;
  if (flags & OPEN_MODE.APPEND) mode |= fs.constants.O_APPEND;
  if (flags & OPEN_MODE.CREAT) mode |= fs.constants.O_CREAT;
  if (flags & OPEN_MODE.TRUNC) mode |= fs.constants.O_TRUNC;
  if (flags & OPEN_MODE.EXCL) mode |= fs.constants.O_EXCL;
  return mode;
}

function serve(sftp) {
  const files = new Map();
  let last = 0;
  const open = (handle) => files.get(handle.toString("hex"));
  const keep = (what) => {
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(last = (last + 1) >>> 0);
    files.set(handle.toString("hex"), what);
    return handle;
  };
  const told = (request) => (error) => error
    ? sftp.status(request, CODES[error.code] ?? STATUS_CODE.FAILURE, error.message)
    : sftp.status(request, STATUS_CODE.OK);
  const looked = (request) => (error, found) => error ? told(request)(error) : sftp.attrs(request, attributes(found));

  sftp.on("OPEN", (request, name, flags, attrs) => {
    fs.open(local(name), openFlags(flags), attrs.mode ?? 0o666, (error, number) =>
      error ? told(request)(error) : sftp.handle(request, keep({ number })));
  }).on("WRITE", (request, handle, offset, data) => {
    const file = open(handle);
    if (!file) return sftp.status(request, STATUS_CODE.FAILURE);
    let done = 0;
    const further = (error, count) => {
      if (error) return told(request)(error);
      done += count;
      if (done >= data.length) return sftp.status(request, STATUS_CODE.OK);
      return fs.write(file.number, data, done, data.length - done, offset + done, further);
    };
    return further(null, 0);
  }).on("READ", (request, handle, offset, length) => {
    const file = open(handle);
    if (!file) return sftp.status(request, STATUS_CODE.FAILURE);
    return fs.read(file.number, Buffer.alloc(length), 0, length, offset, (error, count, data) => {
      if (error) return told(request)(error);
      return count ? sftp.data(request, data.subarray(0, count)) : sftp.status(request, STATUS_CODE.EOF);
    });
  }).on("CLOSE", (request, handle) => {
    const file = open(handle);
    if (!file) return sftp.status(request, STATUS_CODE.FAILURE);
    files.delete(handle.toString("hex"));
    return file.names ? sftp.status(request, STATUS_CODE.OK) : fs.close(file.number, told(request));
  }).on("FSTAT", (request, handle) => {
    const file = open(handle);
    return file ? fs.fstat(file.number, looked(request)) : sftp.status(request, STATUS_CODE.FAILURE);
  }).on("FSETSTAT", (request, handle, attrs) => {
    const file = open(handle);
    if (!file) return sftp.status(request, STATUS_CODE.FAILURE);
    return attrs.mode === undefined ? sftp.status(request, STATUS_CODE.OK) : fs.fchmod(file.number, attrs.mode & 0o7777, told(request));
  }).on("SETSTAT", (request, name, attrs) => {
    return attrs.mode === undefined ? sftp.status(request, STATUS_CODE.OK) : fs.chmod(local(name), attrs.mode & 0o7777, told(request));
  }).on("STAT", (request, name) => fs.stat(local(name), looked(request))
  ).on("LSTAT", (request, name) => fs.lstat(local(name), looked(request))
  ).on("MKDIR", (request, name) => fs.mkdir(local(name), told(request))
  ).on("RMDIR", (request, name) => fs.rmdir(local(name), told(request))
  ).on("REMOVE", (request, name) => fs.unlink(local(name), told(request))
  ).on("RENAME", (request, from, to) => {
    if (order === "refuse-rename") return sftp.status(request, STATUS_CODE.PERMISSION_DENIED, "RENAME is not allowed");
    // The draft renames over nothing.
    return fs.lstat(local(to), (absent) => absent
      ? fs.rename(local(from), local(to), told(request))
      : sftp.status(request, STATUS_CODE.FAILURE, "the target exists"));
  }).on("REALPATH", (request, name) => sftp.name(request, [{ filename: path.posix.join("/", name), longname: name, attrs: {} }])
  ).on("OPENDIR", (request, name) => fs.readdir(local(name), (error, names) =>
    error ? told(request)(error) : sftp.handle(request, keep({ names, directory: local(name) })))
  ).on("READDIR", (request, handle) => {
    const listing = open(handle);
    if (!listing?.names?.length) return sftp.status(request, STATUS_CODE.EOF);
    return sftp.name(request, listing.names.splice(0).map((filename) => {
      const attrs = attributes(fs.lstatSync(path.join(listing.directory, filename)));
      return { filename, longname: filename, attrs };
    }));
  }).on("end", () => sftp.end()
  ).on("error", (error) => console.error("sftp:", error));
}

const server = new Server({ hostKeys: [fs.readFileSync(path.join(directory, "host_key"))] }, (client) => {
  client.on("authentication", (login) => {
    const given = Buffer.from(login.method === "password" ? login.password : "");
    const right = login.username === "client" && given.length === password.length && crypto.timingSafeEqual(given, password);
    return right ? login.accept() : login.reject(["password"]);
  }).on("session", (accept) => accept().on("sftp", (accepted) => serve(accepted()))
  ).on("error", (error) => console.error("client:", error.message));
});
server.listen(Number(port), "127.0.0.1");
