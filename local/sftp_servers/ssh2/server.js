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
  const keep = (what) => {
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(last = (last + 1) >>> 0);
    files.set(handle.toString("hex"), what);
    return handle;
  };
  // Calls that wait, so that requests take effect in the order in which they come: the draft asks for that, and clients
  // send a write and the close behind it together.
  const told = (request, work) => {
    try {
      work();
    } catch (error) {
      sftp.status(request, CODES[error.code] ?? STATUS_CODE.FAILURE, error.message);
      return;
    }
    sftp.status(request, STATUS_CODE.OK);
  };
  const answered = (request, work) => {
    try {
      work();
    } catch (error) {
      sftp.status(request, CODES[error.code] ?? STATUS_CODE.FAILURE, error.message);
    }
  };
  const looked = (request, look) => answered(request, () => sftp.attrs(request, attributes(look())));
  const opened = (handle) => {
    const file = files.get(handle.toString("hex"));
    if (!file) throw new Error("no such handle");
    return file;
  };

  sftp.on("OPEN", (request, name, flags, attrs) => answered(request, () => {
    const number = fs.openSync(local(name), openFlags(flags), attrs.mode ?? 0o666);
    sftp.handle(request, keep({ number }));
  })).on("WRITE", (request, handle, offset, data) => told(request, () => {
    const { number } = opened(handle);
    for (let done = 0; done < data.length;) {
      done += fs.writeSync(number, data, done, data.length - done, offset + done);
    }
  })).on("READ", (request, handle, offset, length) => answered(request, () => {
    const data = Buffer.alloc(length);
    const count = fs.readSync(opened(handle).number, data, 0, length, offset);
    if (count) sftp.data(request, data.subarray(0, count));
    else sftp.status(request, STATUS_CODE.EOF);
  })).on("CLOSE", (request, handle) => told(request, () => {
    const { number } = opened(handle);
    files.delete(handle.toString("hex"));
    if (number !== undefined) fs.closeSync(number);
  })).on("FSTAT", (request, handle) => looked(request, () => fs.fstatSync(opened(handle).number))
  ).on("FSETSTAT", (request, handle, attrs) => told(request, () => {
    const { number } = opened(handle);
    if (attrs.mode !== undefined) fs.fchmodSync(number, attrs.mode & 0o7777);
  })).on("SETSTAT", (request, name, attrs) => told(request, () => {
    if (attrs.mode !== undefined) fs.chmodSync(local(name), attrs.mode & 0o7777);
  })).on("STAT", (request, name) => looked(request, () => fs.statSync(local(name)))
  ).on("LSTAT", (request, name) => looked(request, () => fs.lstatSync(local(name)))
  ).on("MKDIR", (request, name) => told(request, () => fs.mkdirSync(local(name)))
  ).on("RMDIR", (request, name) => told(request, () => fs.rmdirSync(local(name)))
  ).on("REMOVE", (request, name) => told(request, () => fs.unlinkSync(local(name)))
  ).on("RENAME", (request, from, to) => told(request, () => {
    if (order === "refuse-rename") throw Object.assign(new Error("RENAME is not allowed"), { code: "EPERM" });
    // The draft renames over nothing.
    if (fs.lstatSync(local(to), { throwIfNoEntry: false })) throw new Error("the target exists");
    fs.renameSync(local(from), local(to));
  })).on("REALPATH", (request, name) => sftp.name(request, [{ filename: path.posix.join("/", name), longname: name, attrs: {} }])
  ).on("OPENDIR", (request, name) => answered(request, () => {
    const names = fs.readdirSync(local(name));
    sftp.handle(request, keep({ names, directory: local(name) }));
  })).on("READDIR", (request, handle) => answered(request, () => {
    const listing = opened(handle);
    if (!listing.names?.length) {
      sftp.status(request, STATUS_CODE.EOF);
      return;
    }
    const found = listing.names.splice(0).map((filename) =>
      ({ filename, found: fs.lstatSync(path.join(listing.directory, filename), { throwIfNoEntry: false }) }));
    sftp.name(request, found.filter((one) => one.found).map((one) =>
      ({ filename: one.filename, longname: one.filename, attrs: attributes(one.found) })));
  })).on("end", () => sftp.end()
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
