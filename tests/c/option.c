// What each option of a supervisor changes.

#include "expect.h"
#include <sys/stat.h>
#include <unistd.h>

static char text[1 << 20];

static bool told(const char *words) {
    return holds(text, words);
}

static hl_supervisor *with(hl_supervisor_options options) {
    hl_supervisor *supervisor = NULL;
    options.struct_size = sizeof options;
    OK(hl_supervisor_new(&options, &supervisor));
    return supervisor;
}

static void write_profile(const char *folder, const char *name, const char *json) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    FILE *file = fopen(path, "w");
    EXPECT(file != NULL && fputs(json, file) >= 0 && fclose(file) == 0);
}

static void remove_profile(const char *folder, const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    EXPECT(unlink(path) == 0);
}

static void a_folder_of_profiles_is_read_and_read_again(void) {
    char folder[] = "/tmp/haltline-c-XXXXXX";
    EXPECT(mkdtemp(folder) != NULL);
    write_profile(folder, "mine", "{\"max_duration\": 7}");
    write_profile(folder, "deep", "{\"extends\": \"mine\"}");
    write_profile(folder, "old", "{\"max_duration\": 8}");
    hl_supervisor *supervisor = with((hl_supervisor_options){
        .profile_folder = folder, .profile_folder_len = strlen(folder), .sample_interval_ms = 600000});
    const hl_profile *mine = NULL;
    OK(hl_supervisor_profile(supervisor, HL_TEXT("deep"), &mine));
    OK(hl_profile_json(mine, text, sizeof text, NULL));
    EXPECT(told("\"max_duration\":\"7s\""));
    hl_profile_free(mine);
    const char *nothing = "{\"added\":[],\"changed\":[],\"removed\":[]}";
    OK(hl_supervisor_profile_changes_json(supervisor, text, sizeof text, NULL));
    EXPECT(strcmp(text, nothing) == 0);
    write_profile(folder, "mine", "{\"max_duration\": 9}");
    write_profile(folder, "new", "{}");
    remove_profile(folder, "old");
    OK(hl_supervisor_reload_profiles(supervisor));
    const char *changes = "{\"added\":[\"new\"],\"changed\":[\"deep\",\"mine\"],\"removed\":[\"old\"]}";
    size_t needed = 0;
    REFUSED(hl_supervisor_profile_changes_json(supervisor, text, 5, &needed), HL_BUFFER_TOO_SMALL, "5 bytes");
    EXPECT(needed == strlen(changes) + 1);
    // Nothing is lost by too small a buffer, and nothing by a reload that fails.
    write_profile(folder, "mine", "{\"max_durration\": 1}");
    REFUSED(hl_supervisor_reload_profiles(supervisor), HL_INVALID_PROFILE, "max_duration");
    OK(hl_supervisor_profile_changes_json(supervisor, text, needed, NULL));
    EXPECT(strcmp(text, changes) == 0);
    OK(hl_supervisor_profile(supervisor, HL_TEXT("deep"), &mine));
    OK(hl_profile_json(mine, text, sizeof text, NULL));
    EXPECT(told("\"max_duration\":\"9s\""));
    hl_profile_free(mine);
    write_profile(folder, "mine", "{\"max_duration\": 9}");
    OK(hl_supervisor_reload_profiles(supervisor));
    OK(hl_supervisor_profile_changes_json(supervisor, text, sizeof text, NULL));
    EXPECT(strcmp(text, nothing) == 0);
    REFUSED(hl_supervisor_profile(supervisor, HL_TEXT("old"), &mine), HL_UNKNOWN_PROFILE, "old");
    remove_profile(folder, "mine");
    remove_profile(folder, "deep");
    remove_profile(folder, "new");
    EXPECT(rmdir(folder) == 0);
    ended(supervisor);
}

int main(void) {
    a_folder_of_profiles_is_read_and_read_again();
    return 0;
}
