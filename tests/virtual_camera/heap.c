/* Preloaded: the kernel's memory for cameras, /dev/dma_heap, as memory of this process. Few computers without a camera
   have it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/types.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct allocation { /* struct dma_heap_allocation_data */
    __u64 len;
    __u32 fd, fd_flags;
    __u64 heap_flags;
};

static int opened(const char *path, int flags, int mode) {
    if (path && !strncmp(path, "/dev/dma_heap/", 14)) path = "/dev/null";
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = va_arg(more, int);
    va_end(more);
    return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = va_arg(more, int);
    va_end(more);
    return opened(path, flags, mode);
}

int ioctl(int file, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void *data = va_arg(more, void *);
    va_end(more);
    unsigned magic = request >> 8 & 0xff, number = request & 0xff, size = request >> 16 & 0x3fff;
    if (magic == 'H' && number == 0 && size == sizeof(struct allocation)) { /* DMA_HEAP_IOCTL_ALLOC */
        struct allocation *wanted = data;
        int memory = memfd_create("camera", MFD_CLOEXEC);
        if (memory < 0 || ftruncate(memory, wanted->len)) return -1;
        wanted->fd = memory;
        return 0;
    }
    if (magic == 'b') return 0; /* DMA_BUF_IOCTL_SYNC, DMA_BUF_SET_NAME: ordinary memory needs neither */
    return syscall(SYS_ioctl, file, request, data);
}
